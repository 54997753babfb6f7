//! The gate: only what an AsyncAPI message describes goes on.
