"""From requests to completions, in four rooms: `calls` <- `endpoint` <- `serving` <- `engine`."""
