"""Every call of the API as data, one module per noun; a test holds them against `openapi.json`."""
