"""How often a client that is silent is asked for a sign of life, on every transport that asks by itself."""

PING_SECONDS = 25
"""Below the 30 s after which common proxies cut what is silent."""

PING_TIMEOUT_SECONDS = 50
"""Two pings missed."""
