#![no_main]

vesal_fuzz::fuzzer!("node_pdu");
