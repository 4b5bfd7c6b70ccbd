#![no_main]

vesal_fuzz::fuzzer!("dicom_instance");
