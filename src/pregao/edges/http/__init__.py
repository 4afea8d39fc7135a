"""The desk over HTTP: webhooks, the API, health."""
