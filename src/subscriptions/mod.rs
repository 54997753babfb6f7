//! Who receives what, where, and sealed for which key.
