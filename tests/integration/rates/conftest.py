"""The service over HTTP, with rates as each test wants them."""
