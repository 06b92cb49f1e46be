//! The control plane's shell: API, planner, store, push, collect.
