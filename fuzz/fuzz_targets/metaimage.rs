#![no_main]

vesal_fuzz::fuzzer!("metaimage");
