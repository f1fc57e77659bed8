"""Amazon Web Services: sessions, clients, and everything that talks to them without being an engine."""
