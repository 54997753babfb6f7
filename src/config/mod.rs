//! The gateway file: the sum of the rooms' own settings.
