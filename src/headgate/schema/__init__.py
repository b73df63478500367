"""Every wire record, declared once: the server, the client, the worker and the CLI all use these classes."""
