"""The API as a Python caller sees it: `calls` say what to send, `Client` and `AsyncClient` send it."""
