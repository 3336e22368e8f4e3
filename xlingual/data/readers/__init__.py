"""From a file, a folder or a hub id to rows in canonical columns."""
