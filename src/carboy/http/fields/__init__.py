"""Values of header fields: one module for each kind, with its parser and its class."""
