"""The framework: an application, its blueprints, contexts, sessions and templates."""
