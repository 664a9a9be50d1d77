"""The Twisted side: moves bytes between a transport and `quickpulse.wire`, and calls the queue. No store lives here."""
