"""What a developer has at the bench: reloading, the debugger, pages that refresh themselves."""
