mod answer_key;
mod bad_input;
mod crash;
mod drivers;
mod main_job;
mod random_select;
mod slt;
mod tidy;
