#![no_main]

vesal_fuzz::fuzzer!("checkpoint_pickle");
