//! Associations that send instances to a queue.

use std::collections::HashSet;

use super::*;

/// An association of a caller.
pub struct Association<'a> {
    queue: &'a JobQueue,
    caller: &'a str,
    pub touched: HashSet<JobKey>,
}

impl<'a> Association<'a> {
    pub fn open(queue: &'a JobQueue, caller: &'a str) -> Self {
        Self {
            queue,
            caller,
            touched: HashSet::new(),
        }
    }

    /// Sends an instance of a series whose data set is `content`.
    pub fn send_to(
        &mut self,
        key: &JobKey,
        uid: &str,
        content: u8,
    ) -> Result<Admission, AdmissionError> {
        let queue = self.queue;
        let file = queue.incoming().join("0.part");
        fs::write(&file, [content])?;
        let arrival = queue.arrival(uid, &[content; 32], self.caller);
        queue.admit(0, key, &arrival, &file, self.caller, &mut self.touched)
    }

    pub fn send(&mut self, uid: &str, content: u8) -> Result<Admission, AdmissionError> {
        self.send_to(&key(self.queue), uid, content)
    }

    pub fn leave(self, whole: bool) {
        self.queue.leave(0, &self.touched, self.caller, whole);
    }
}
