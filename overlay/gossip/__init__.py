"""Publish and subscribe, with limits on what a stranger may make us do."""
