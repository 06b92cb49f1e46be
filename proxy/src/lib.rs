//! The data plane's shell: sockets, pools, forwarding, reporting.
