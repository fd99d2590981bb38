"""Items and users of a release: ids to rows, histories, changes."""
