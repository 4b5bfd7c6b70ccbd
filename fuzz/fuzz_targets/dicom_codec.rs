#![no_main]

vesal_fuzz::fuzzer!("dicom_codec");
