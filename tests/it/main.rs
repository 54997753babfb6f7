//! Promises to users, one file each, and the rules of the house; one binary, so that it links once.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says what is wrong by panicking"
)]

mod a_backup_restores;
mod a_bus_is_a_sink;
mod a_consumer_can_pull;
mod a_contract_of_any_team_is_published;
mod a_backlog_is_bounded;
mod a_contract_describes_the_event;
mod a_data_directory_of_before_opens;
mod a_domain_is_published_from_the_docs;
mod a_dead_letter_can_return;
mod a_disk_can_fail;
mod a_failing_consumer_costs_only_itself;
mod a_flood_is_bounded;
mod a_full_disk_is_survived;
mod a_gap_shows;
mod a_grant_ends;
mod a_handshake_is_durable;
mod a_queue_is_a_source;
mod a_receipt_proves_delivery;
mod a_pattern_has_a_price;
mod a_push_is_signed;
mod a_recording_brings_nothing_new;
mod a_repeat_is_recognised;
mod a_schema_has_one_address;
mod a_set_receiver_is_a_sink;
mod a_sink_authenticates_the_gateway;
mod a_sink_proves_itself;
mod a_sink_that_lies;
mod a_template_sets_an_edge_up;
mod a_time_is_kept_as_sent;
mod a_stream_resumes;
mod a_token_is_asked_for_once;
mod a_name_is_the_consumers_own;
mod accepted_means_durable;
mod an_api_destination_is_a_producer;
mod an_api_destination_is_answered_in_time;
mod an_api_destination_of_an_emulator;
mod an_aws_emulator_is_there;
mod an_aws_sdk_is_a_producer;
mod a_custom_bus_client_is_told;
mod an_event_can_be_tried;
mod an_event_is_found_by_its_envelope;
mod answers_are_the_callers_alone;
mod architecture;
mod aws_is_called_by_who_needs_it;
mod bad_input_is_answered;
mod bodies_are_read_as_sent;
mod consumers_hear_what_they_are_granted;
mod consumer_in_rust;
mod events_of_a_subject_arrive_in_order;
mod every_aws_sdk_is_a_producer;
mod every_change_is_kept_as_an_action;
mod doctor_says_what_aws_said;
mod every_match_is_offered;
mod evidence_stands_alone;
mod every_violation_is_documented;
mod harness;
mod keys_rotate;
mod lists_are_cheap;
mod mistakes_are_found_offline;
mod nobody_keeps_the_log_for_ever;
mod nothing_asynchronous_is_lost;
mod nothing_leaves_without_a_contract;
mod old_events_make_room;
mod one_bad_event_harms_itself_alone;
mod operators_do_not_read_data;
mod only_allowed_addresses_are_dialled;
mod only_the_consumer_can_read;
mod only_what_crosses_can_harm;
mod ordinary_events_fit;
mod other_ecosystems;
mod producers_are_bound_to_their_sources;
mod replay_is_exact;
mod tenants_are_strangers;
mod the_api_is_as_described;
mod the_aws_stub_is_honest;
mod the_clock_can_jump;
mod the_command_line_operates;
mod the_consumers_guide;
mod the_demo_on_aws_holds;
mod the_log_is_one_tree;
mod the_power_may_fail;
mod the_quarantine_is_bounded;
mod the_settings_are_described;
mod what_only_fails_is_paused;
mod what_stands_outside_says_nothing;
mod what_was_lost_is_told;
mod why_an_event_did_not_arrive;
