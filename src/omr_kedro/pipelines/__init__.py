"""The pipelines, one folder each; those that call a model follow the idiom of `llm_stage`."""
