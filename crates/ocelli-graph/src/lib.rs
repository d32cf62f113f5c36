//! A classifier network as plain data, with shapes, parameter and multiply-add counts.
