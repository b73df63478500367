"""The SDK: what a flow is, how it is called, deployed and served, and the engine that runs it for a worker."""
