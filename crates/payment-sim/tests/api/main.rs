//! The provider as a process: its RPCs, the wrong calls above all, and what it does as a program.

mod binary;
mod calls;
mod stage;
