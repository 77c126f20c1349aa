"""The portals that the containers keep a warehouse of; each is a folder in `defs`."""
