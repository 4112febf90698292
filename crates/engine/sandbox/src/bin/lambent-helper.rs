//! The helper alone, for tests of rooms whose test programs cannot call `main_if_helper` themselves.

fn main() {
    sandbox::main_if_helper();
}
