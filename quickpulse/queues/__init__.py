"""The domain: synchronous queues that know neither Twisted nor a wire."""
