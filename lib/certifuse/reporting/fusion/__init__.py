"""Tables of the fusion study from tidy frames."""
