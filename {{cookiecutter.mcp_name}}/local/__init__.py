"""Stand-ins for this machine: what `dev` starts beside the server."""
