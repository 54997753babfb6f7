//! What crosses the border, and in which shape: publications and their patches.
