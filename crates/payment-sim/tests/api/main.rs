//! The provider as a process: its RPCs, the wrong calls above all, and the program itself.

mod binary;
mod calls;
mod stage;
