"""Wire formats: each module translates one of them to and from a session."""
