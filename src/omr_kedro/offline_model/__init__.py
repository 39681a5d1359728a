"""The embedded rule-based chat server: an OpenAI-compatible endpoint for people with neither GPU nor key."""
