"""Items and users of a release: row look-up, histories, item changes."""
