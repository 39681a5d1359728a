"""From tables to a dataset that trainers load: rows of its configs, its files, and what they hold. Knows no Kedro."""
