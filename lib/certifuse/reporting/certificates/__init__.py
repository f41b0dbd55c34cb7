"""Tables of the certificates from tidy frames."""
