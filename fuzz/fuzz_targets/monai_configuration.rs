#![no_main]

vesal_fuzz::fuzzer!("monai_configuration");
