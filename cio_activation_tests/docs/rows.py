"""Which test holds which row of the pages that tell what happens when something is refused, renamed, removed or merged."""

from __future__ import annotations

HUBSPOT, PIPEDRIVE, SOURCE = "destinations/hubspot", "destinations/pipedrive", "customerio"
LISTS, GONE = f"{HUBSPOT}/test_known_lists.py", f"{HUBSPOT}/test_gone_records.py"
OPTIONS, CLASHES = f"{PIPEDRIVE}/test_removed.py", f"{PIPEDRIVE}/test_clashes.py"
GOOD, ASIDE = f"{SOURCE}/test_last_good.py", f"{SOURCE}/test_set_aside.py"

Tests = tuple[tuple[str, str], ...]

RENAMES: dict[str, Tests] = {
    "a colleague renames our list in HubSpot, or our option in Pipedrive": (
        (LISTS, "test_a_list_that_a_colleague_renamed_is_still_the_audiences_list"),
        (f"{PIPEDRIVE}/test_schema.py", "test_fields_and_options_renamed_by_a_colleague_stay_ours"),
    ),
    "`label` of an audience changes": (
        (LISTS, "test_a_label_or_version_changed_in_the_activation_renames_the_same_list"),
        (LISTS, "test_a_name_that_is_taken_keeps_the_list_and_its_exits_going"),
    ),
    "`destinations.pipedrive.audience_field` changes": (
        (CLASHES, "test_the_field_of_audiences_is_called_as_declared_and_renamed_with_it"),
    ),
    "`version` of an audience changes": (
        (LISTS, "test_a_label_or_version_changed_in_the_activation_renames_the_same_list"),
        (LISTS, "test_a_new_list_for_a_new_version_is_explicit_and_empties_the_old_one"),
    ),
    "an audience leaves the activation, or its list is switched off": (
        (LISTS, "test_the_list_of_an_audience_that_left_is_emptied_at_once_and_deleted_after_the_delay"),
    ),
    "... and somebody put people on that list": (
        (LISTS, "test_a_list_that_a_colleague_put_people_on_is_emptied_of_ours_and_not_deleted"),
    ),
    "... and comes back before that": ((LISTS, "test_an_audience_that_comes_back_finds_its_list_again"),),
    "an audience leaves Pipedrive": (
        (OPTIONS, "test_the_last_audience_that_leaves_is_taken_from_everyone"),
        (OPTIONS, "test_the_option_of_an_audience_that_left_is_told_until_somebody_deletes_it"),
    ),
    "an audience that asks for Pipedrive activities, notes or deals leaves, or asks for none any more": (
        (
            f"{PIPEDRIVE}/test_activities.py",
            "test_of_an_audience_that_left_the_activation_what_is_open_is_taken_back",
        ),
        (f"{PIPEDRIVE}/test_notes.py", "test_of_an_audience_that_left_the_activation_it_is_said_too"),
    ),
    "an audience gets another key under the same label": (
        (LISTS, "test_an_audience_under_another_key_takes_the_list_of_its_name_over_with_its_leavers"),
    ),
    "a property leaves the activation": (
        (
            f"{HUBSPOT}/test_removed_fields.py",
            "test_a_dropped_property_is_cleared_in_the_next_daily_run_and_then_there_is_quiet",
        ),
        (f"{HUBSPOT}/test_removed_fields.py", "test_what_a_human_changed_stays_where_the_destination_keeps_it"),
    ),
    "somebody leaves Customer.io": (
        (
            f"{HUBSPOT}/test_removed_fields.py",
            "test_left_values_of_somebody_who_left_customerio_are_cleared_all_the_same",
        ),
        (f"{PIPEDRIVE}/test_healing.py", "test_who_left_customerio_is_emptied_and_may_come_back"),
    ),
    "a property moves to the other lane": (
        (f"{HUBSPOT}/test_removed_fields.py", "test_a_property_that_moves_to_the_other_lane_stays"),
    ),
    "a colleague deletes somebody's record": (
        (GONE, "test_a_deleted_contact_is_left_alone_and_listed"),
        (
            f"{PIPEDRIVE}/test_gone_records.py",
            "test_a_deleted_member_is_listed_though_nothing_changed_and_is_not_made_anew",
        ),
    ),
    "... with `on_deleted: recreate`": (
        (GONE, "test_recreate_makes_anew_what_lies_in_the_recycle_bin_and_nothing_else"),
        (f"{PIPEDRIVE}/test_gone_records.py", "test_recreate_makes_anew_what_can_be_restored_and_nothing_else"),
    ),
    "... and restores it, or makes a new one": (
        (GONE, "test_a_deleted_contact_is_left_alone_and_listed"),
        (
            f"{PIPEDRIVE}/test_gone_records.py",
            "test_a_deleted_member_is_listed_though_nothing_changed_and_is_not_made_anew",
        ),
    ),
    "a HubSpot contact is deleted for good (GDPR)": ((GONE, "test_a_deleted_contact_is_left_alone_and_listed"),),
    "a colleague merges somebody's record into one that is nobody's": (
        (f"{PIPEDRIVE}/test_healing.py", "test_a_merged_person_is_followed_to_the_survivor"),
    ),
    "... two people's records into one": (
        (GONE, "test_two_linked_contacts_merged_settle_in_the_run_that_learns_of_it"),
        (f"{PIPEDRIVE}/test_gone_records.py", "test_two_linked_persons_merged_settle_in_the_next_run"),
    ),
    "an option made by hand that reads like ours but for case and blanks": (
        (CLASHES, "test_an_option_that_reads_alike_is_used_and_none_is_added_beside_it"),
        (CLASHES, "test_yes_and_no_made_by_hand_hold_a_flag"),
    ),
    "a field of our name made by hand": ((CLASHES, "test_a_field_of_another_type_that_can_hold_our_values_is_used"),),
    "... of a type that cannot hold our values": (
        (f"{PIPEDRIVE}/test_schema.py", "test_a_field_of_another_type_is_refused_before_anything_is_written"),
    ),
    "an option of ours that somebody gave the label of another one of ours": (
        (CLASHES, "test_one_of_ours_that_was_renamed_to_another_of_ours_is_named"),
    ),
    "a second field of our name, a second option of our label": (
        (CLASHES, "test_twins_of_fields_and_options_are_advice"),
    ),
    "no room for what is missing in the plan": ((CLASHES, "test_check_counts_the_plans_fields_before_a_run_does"),),
    "an option that Pipedrive does not let us add": ((CLASHES, "test_an_option_that_may_not_be_added_is_named"),),
}
VALUES: dict[str, Tests] = {
    "`text`": ((f"{SOURCE}/test_casting.py", "test_every_spelling"),),
    "`number`, `money`": ((f"{SOURCE}/test_casting.py", "test_every_spelling"),),
    "`integer`": ((f"{SOURCE}/test_casting.py", "test_every_spelling"),),
    "`boolean`": ((f"{SOURCE}/test_casting.py", "test_every_spelling"),),
    "`timestamp`": (
        (f"{SOURCE}/test_casting.py", "test_every_spelling"),
        (f"{SOURCE}/test_casting.py", "test_a_declared_unit_decides_what_a_number_counts"),
    ),
    "`date`": ((f"{SOURCE}/test_casting.py", "test_every_spelling"),),
    "a cell": (
        (GOOD, "test_a_refused_cell_keeps_its_last_good_value_and_everything_else_goes_on"),
        (GOOD, "test_what_the_realtime_lane_saw_last_is_the_last_good_value"),
    ),
    "a cell of a person never seen before": (
        (GOOD, "test_a_person_first_seen_with_a_refused_cell_has_no_value_and_is_marked"),
        (GOOD, "test_what_was_never_read_is_no_value_of_a_flag_or_case_either"),
    ),
    "a line that is no CSV, with a known `cio_id` in its place": (
        (GOOD, "test_a_malformed_line_keeps_its_person_and_nobody_else"),
    ),
    "any other such line": (
        (GOOD, "test_while_a_line_cannot_be_told_nobody_absent_is_gone"),
        (GOOD, "test_a_row_without_cio_id_is_like_a_line_that_cannot_be_told"),
        (GOOD, "test_whom_the_realtime_lane_was_told_is_gone_goes_although_a_line_cannot_be_told"),
    ),
    "a value that breaks the contract of the derived state": (
        ("state/test_derive.py", "test_a_bad_value_goes_to_quarantine_and_the_last_good_one_stays"),
        ("state/test_derive.py", "test_a_bad_value_stays_at_its_last_good_one_also_when_the_definitions_change"),
        ("state/test_derive.py", "test_a_bad_value_does_not_keep_the_others_from_moving"),
    ),
    "a segment's member without `cio_id`": (
        (f"{SOURCE}/test_segments.py", "test_repeated_rows_and_rows_without_cio_id"),
    ),
    "a people file that is cut off": (
        (ASIDE, "test_an_unusable_export_is_replaced_in_the_same_run"),
        (ASIDE, "test_a_run_that_gets_nothing_but_unusable_files_ends_and_nobody_leaves"),
    ),
    "an answer about a segment with a row that is no member": (
        (ASIDE, "test_an_unusable_answer_about_a_segment_is_asked_for_again"),
    ),
    "more than `limits.guards.max_refused_share`": ((GOOD, "test_too_much_refused_is_not_believed"),),
}
ROWS = {"renames-and-removals.md": RENAMES, "values.md": VALUES}
"""Page -> how a row of its tables begins -> the tests (file below the tests' folder, function) that break if it is wrong."""
