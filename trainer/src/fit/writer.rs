//! Writes files in the background of a training.

use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::tensor_file::{self, TensorFileError, Values};

/// Writes one tensor file at a time, in the order of the calls.
#[derive(Debug, Default)]
pub struct Writer {
    under_way: Option<JoinHandle<Result<Duration, TensorFileError>>>,
    took: Duration,
}

impl Writer {
    /// Starts writing a file after the previous one is finished.
    ///
    /// **Errors**: of the previous file.
    pub fn write(
        &mut self,
        path: &Path,
        head: impl Serialize + Send + 'static,
        tensors: Vec<(String, Values)>,
    ) -> Result<(), TensorFileError> {
        self.wait()?;
        let path = path.to_owned();
        self.under_way = Some(thread::spawn(move || {
            let started = Instant::now();
            tensor_file::write(&path, &head, &tensors)?;
            Ok(started.elapsed())
        }));
        Ok(())
    }

    /// Waits until all files are written.
    ///
    /// **Errors**: of the last file.
    pub fn wait(&mut self) -> Result<(), TensorFileError> {
        if let Some(thread) = self.under_way.take() {
            self.took = thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        }
        Ok(())
    }

    /// Duration of writing the last file; `None` while it is being written.
    ///
    /// **Errors**: of that file.
    pub fn took(&mut self) -> Result<Option<Duration>, TensorFileError> {
        if self
            .under_way
            .as_ref()
            .is_some_and(|thread| !thread.is_finished())
        {
            return Ok(None);
        }
        self.wait()?;
        Ok(Some(self.took))
    }
}

impl Drop for Writer {
    /// Finishes the current file even if the training fails.
    fn drop(&mut self) {
        if let Some(thread) = self.under_way.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_written_in_order_and_errors_come_with_the_next_call() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.safetensors");
        let mut writer = Writer::default();
        for head in [1u32, 2] {
            writer.write(&path, head, Vec::new()).unwrap();
        }
        writer.wait().unwrap();
        assert_eq!(tensor_file::read_head::<u32>(&path).unwrap(), Some(2));
        let nowhere = directory.path().join("missing").join("a.safetensors");
        writer.write(&nowhere, 3u32, Vec::new()).unwrap();
        writer.write(&path, 4u32, Vec::new()).unwrap_err();
        drop(writer);
        assert_eq!(tensor_file::read_head::<u32>(&path).unwrap(), Some(2));
    }
}
