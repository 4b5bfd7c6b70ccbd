#![no_main]

vesal_fuzz::fuzzer!("bundle_folder");
