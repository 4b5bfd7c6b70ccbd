//! datalist
