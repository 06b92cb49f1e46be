//! Load generator, gates, comparison with other proxies.
