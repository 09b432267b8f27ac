"""The controller's half of a deploy: find an app's source, know it by a digest, pack it."""
