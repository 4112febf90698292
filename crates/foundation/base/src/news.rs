use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::{Clocks, Turn};

/// Word to one loop that there is something new to look at. A product clock that jumps waits until the loop has looked.
#[derive(Debug, Default)]
pub struct News {
    // Held from the word on until the loop has enrolled for what it found.
    turn: Mutex<Option<Turn>>,
    rung: Notify,
}

impl News {
    /// Tells the loop. Words that it has not heard yet count once.
    pub fn tell(&self, clocks: &dyn Clocks) {
        let turn = clocks.turn().called("a loop that has not looked yet");
        self.turn.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(turn);
        self.rung.notify_one();
    }

    /// Completes at once if there is a word not heard yet, else at the next.
    pub async fn heard(&self) -> Turn {
        loop {
            self.rung.notified().await;
            // A word in between leaves the bell rung. Nobody may wake for that without a turn: it would let go of the one that
            // a moment of the clock gives it at the same time.
            if let Some(turn) = self.turn.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return turn;
            }
        }
    }
}
