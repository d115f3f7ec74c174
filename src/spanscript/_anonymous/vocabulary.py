"""
The words of the wire APIs: what may stay in an anonymous transcript, because everybody's transcript has it.

A key stays if it is in `KEYS`; a string stays if it is in `WORDS` *and* stands under such a key. What is
missing here is replaced, so a gap costs readability and no privacy.
"""

from __future__ import annotations

from typing import Final

_KEYS = """
$defs $transcript additionalModelRequestFields additionalProperties agent allOf allow_fallbacks
allowed_tools annotations anthropic_version anyOf approval_request_id approve args arguments aspectRatio
aspect_ratio audio auto autoTruncate background batch best_of betas budget_tokens bytes
bytesBase64Encoded cachePoint cache_control cachedContent call call_id caller candidateCount cfg_scale
chat_history choices citation_options citations code codeExecution codeExecutionResult
code_execution_result config const container content content_type contents conversation count custom
data default description detail detailLevel dimensions disable_parallel_tool_use document document_url
documents echo effort embeddingTypes embedding_dimensions embedding_types embeddings enabled
encoding_format encrypted_content end_sequences enum error exclusiveMaximum exclusiveMinimum
executableCode executable_code execution extra_body fields file fileData file_data file_id file_uri
file_url filename finish_reason finish_reasons force_single_step format fps frequency_penalty function
functionCall functionCallingConfig functionDeclarations functionResponse function_call
function_declarations function_response functions generationConfig generation_config googleSearch
google_search guardContent height id image imageGenerationConfig image_url images include
includeRaiReason includeThoughts include_usage index inferenceConfig inlineData inline_data input
inputSchema inputText input_audio input_schema input_type inputs instances instructions is_error items
json jsonSchema json_schema k keep_alive labels language level logit_bias logprobs mask maxItems
maxLength maxOutputTokens maxTokenCount maxTokens max_completion_tokens max_gen_len max_output_tokens
max_tokens max_tokens_to_sample max_tool_calls max_uses maximum mcp_servers media_type message messages
metadata mimeType mime_type minItems minLength min_tokens minimum modalities modality mode model
multipleOf n name negativePrompt negativeText normalize nullable num_ctx num_generations num_predict
numberOfImages object oneOf options order outcome output outputConfig outputDimensionality output_config
output_dimension output_format outputs p parallel_tool_calls parameter_definitions parameters
parametersJsonSchema parameters_json_schema partial_images parts pattern phase plugins preamble prefix
presence_penalty previous_interaction_id previous_response_id prompt prompt_cache_key
prompt_cache_retention properties quality queries query random_seed raw reasoning reasoningContent
reasoningText reasoning_content reasoning_effort redactedContent redacted_thinking refusal requests
require_approval required response responseMimeType responseModalities responseSchema response_format
response_mime_type responses result results return_documents return_likelihoods role s3Location
safe_prompt safetySettings safety_identifier sampleCount samples schema schemaVersion searchResult seed
server_label server_side server_url serviceTier service_tier singleEmbeddingParams embeddingPurpose
embeddingDimension maxSegmentLength signature size snippet source speed start status steps stop
stopSequences stop_sequences store stream stream_options strict structure suffix summary system
systemInstruction systemTool system_fingerprint system_instruction taskType task_type temperature text
textGenerationConfig textToImageParams text_prompts texts think thinking thinkingBudget thinkingConfig
thinkingLevel thinking_level thought thoughtSignature thought_signature threshold
timestamp_granularities title token_budget toolCall toolChoice toolConfig toolResponse toolResult
toolSpec toolUse toolUseId tool_call_id tool_calls tool_choice tool_name tool_plan tool_results
tool_use_id tools topK topP top_k top_logprobs top_n top_p total truncate truncation truncationMode ttl
type uniqueItems uri url user value variables vector_store_ids verbosity version video videoMetadata
video_metadata video_url voice voice_id weight width server_name
"""
KEYS: Final = frozenset(_KEYS.split())
"""Keys of requests, answers and JSON schemas."""

_WORDS = """
assistant chatbot CHATBOT developer function human model system SYSTEM tool TOOL user USER User Chatbot
System any array audio base64 base64_json boolean bytes custom document document_url ephemeral file
file_search file_url float function_call function_call_output function_result http image
image_generation image_generation_call image_url input_audio input_file input_image input_text int8
integer item_reference json json_object json_schema local_shell local_shell_call local_shell_call_output
mcp mcp_approval_request mcp_approval_response mcp_call mcp_list_tools mcp_server_tool_call
mcp_server_tool_result mcp_tool_result mcp_tool_use message model_output namespace null number object
output_audio output_text reasoning reasoning_text redacted_thinking refusal search_result
server_tool_use shell_call shell_call_output string summary_text text text-to-image thinking thought
tool_call tool_result tool_use tool_search_call tool_search_output ubinary uint8 binary url user_input
video video_url web_search web_search_call web_search_result web_search_tool_result
web_fetch_tool_result code_execution_tool_result bash_code_execution_tool_result
text_editor_code_execution_tool_result tool_search_tool_result advisor_tool_result container_upload
code_interpreter code_interpreter_call computer_call computer_call_output computer_screenshot
custom_tool_call custom_tool_call_output apply_patch_call apply_patch_call_output file_search_call media
other code_execution code_execution_call code_execution_result google_search google_search_call
google_search_result url_context_call url_context_result ARRAY BOOLEAN INTEGER NUMBER OBJECT STRING TEXT
IMAGE AUDIO TEXT_IMAGE IMAGE_VARIATION SINGLE_EMBEDDING auto AUTO none NONE required REQUIRED ANY
VALIDATED validated enabled disabled adaptive default flex priority standard standard_only scale high
low medium minimal xhigh max off concise detailed fast ACCURATE FAST OFF START END LEFT RIGHT optimized
original client server commentary final_answer in_progress incomplete completed failed success
reasoning.encrypted_content 1h 5m 24h classification clustering search_document search_query
RETRIEVAL_DOCUMENT RETRIEVAL_QUERY SEMANTIC_SIMILARITY mp3 wav pcm16 opus flac aac pcm srt vtt
verbose_json png jpeg webp gif pdf txt md csv stop stop_sequence end_turn max_tokens max_output_tokens
content_filter pause_turn length tool_calls guardrail_intervened content_filtered STOP MAX_TOKENS SAFETY
RECITATION OTHER BLOCKLIST PROHIBITED_CONTENT SPII MALFORMED_FUNCTION_CALL COMPLETE STOP_SEQUENCE
TOOL_CALL ERROR ERROR_LIMIT ERROR_TOXIC MAX_LENGTH FINISH requires_action model_context_window_exceeded
eos error load unload context system_prompt tool_schemas
"""
WORDS: Final = frozenset(_WORDS.split())
"""Roles, types, formats, efforts, reasons to finish."""

_IDS = """
approval_request_id call_id container conversation file_id id previous_interaction_id
previous_response_id prompt_cache_key request_id response_id server_label toolUseId tool_call_id
tool_use_id vector_store_ids
"""
IDS: Final = frozenset(_IDS.split())
"""Keys of what names something."""

NAMES: Final = frozenset(["name", "tool_name", "required"])
"""Keys of names of tools and of their parameters."""

MIME: Final = frozenset(["media_type", "mime_type", "mimeType", "responseMimeType", "response_mime_type"])

_CONTENT = """
args arguments chat_history contents documents functionCall functionResponse functions images input
inputText inputs instances logit_bias message messages metadata prompt properties query requests
response text_prompts texts toolResult toolUse tool_results tools variables
"""
CONTENT: Final = frozenset(_CONTENT.split())
"""Keys below which a number is part of what was said, and not a parameter of the request."""
